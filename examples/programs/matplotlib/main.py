from pathlib import Path

import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.plot([1, 2, 3, 4], [1, 4, 9, 16], label="squares")
axes.set_title("Größe ∝ n²")
axes.legend()
for name in ["plot.png", "plot.svg", "plot.pdf"]:
    figure.savefig(Path("out", name))

print("drawn with:", plt.get_backend().lower())
print("a picture:", Path("out/plot.png").read_bytes()[:4])
