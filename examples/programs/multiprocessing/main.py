import multiprocessing
from multiprocessing import shared_memory


def square(number):
    return number * number


def add(name, lock, amount):
    memory = shared_memory.SharedMemory(name=name)
    for _ in range(amount):
        with lock:
            memory.buf[:8] = (int.from_bytes(memory.buf[:8], "little") + 1).to_bytes(8, "little")
    memory.close()


def main():
    for way in ["fork", "spawn", "forkserver"]:
        context = multiprocessing.get_context(way)
        with context.Pool(4) as pool:
            print(f"{way}:", sum(pool.map(square, range(100))))

    memory = shared_memory.SharedMemory(create=True, size=8)
    lock = multiprocessing.Lock()
    workers = [multiprocessing.Process(target=add, args=(memory.name, lock, 500)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print("counted together:", int.from_bytes(memory.buf[:8], "little"))
    memory.close()
    memory.unlink()

    with multiprocessing.Manager() as manager:
        words = manager.list(["asked", "through", "a", "socket"])
        print(" ".join(words))


if __name__ == "__main__":
    main()
