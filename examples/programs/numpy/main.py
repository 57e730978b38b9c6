import numpy as np

# The library starts a thread for each processor here.
matrix = np.random.default_rng(seed=7).standard_normal((400, 400))
symmetric = matrix @ matrix.T
values, vectors = np.linalg.eigh(symmetric)
print("decomposed:", np.allclose(vectors * values @ vectors.T, symmetric))

# A file that is changed through memory.
squares = np.lib.format.open_memmap("out/squares.npy", mode="w+", dtype=np.int64, shape=(1000,))
squares[:] = np.arange(1000) ** 2
squares.flush()
print("read back:", np.load("out/squares.npy")[999])
