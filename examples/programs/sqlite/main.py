import sqlite3
import subprocess
import sys
from pathlib import Path

DATABASE = Path("out/numbers.db")
# Readers and a writer at the same time, by a file of shared memory beside the database.
WRITER = f"""
import sqlite3, sys
with sqlite3.connect({str(DATABASE)!r}, timeout=30) as database:
    database.executemany("insert into numbers values (?)", ((number,) for number in range(100)))
"""

DATABASE.unlink(missing_ok=True)
with sqlite3.connect(DATABASE) as database:
    print("journal:", database.execute("pragma journal_mode = wal").fetchone()[0])
    database.execute("create table numbers (value integer)")
writers = [subprocess.Popen([sys.executable, "-c", WRITER]) for _ in range(4)]
print("writers:", [writer.wait() for writer in writers])
with sqlite3.connect(DATABASE) as database:
    print("sum:", database.execute("select sum(value) from numbers").fetchone()[0])
    print("check:", database.execute("pragma integrity_check").fetchone()[0])
