"""The original example, as a program of its own: ``python -m benchmarks.keras_cnn FOLDER --seed 0``.

A plain Keras CNN on class folders ``FOLDER/{train,test}/CLASS/*.png``. Prints one JSON object; knows nothing of suwen.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.metrics import roc_auc_score


def read_folder(root: Path, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (N, H, W, 1) and class numbers (N,). (Keras's own reader of folders needs TensorFlow.)"""
    files = [(file, number) for number, name in enumerate(classes) for file in sorted((root / name).glob("*.png"))]
    images = np.stack([np.asarray(Image.open(file).convert("L")) for file, _ in files])
    return images[..., None], np.array([number for _, number in files])


def build_model(shape: tuple[int, ...], classes: int) -> keras.Model:
    """Two convolutions, two poolings, one dense layer."""
    model = keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(64, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(128, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def main() -> None:
    """Train, test, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    keras.utils.set_random_seed(options.seed)
    classes = sorted(folder.name for folder in (options.folder / "train").iterdir())
    images, target = read_folder(options.folder / "train", classes)
    model = build_model(images.shape[1:], len(classes))
    model.fit(images, target, batch_size=32, epochs=options.epochs, verbose=0)
    images, target = read_folder(options.folder / "test", classes)
    probabilities = model.predict(images, verbose=0)
    accuracy = float((probabilities.argmax(1) == target).mean())
    auroc = float(roc_auc_score(target, probabilities[:, -1]))
    print(json.dumps({"accuracy": accuracy, "auroc": auroc, "parameters": model.count_params()}))


if __name__ == "__main__":
    main()
