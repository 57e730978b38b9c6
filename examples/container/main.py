"""Runs among the files of an image, with a package that the image does not have."""

import os

import emoji

assert emoji.__file__.startswith(os.environ["VIRTUAL_ENV"])
print(emoji.emojize("Hello from an image :package:"))
