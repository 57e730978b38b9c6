"""Runs among the files of an image that was built, with a package that uv put into it."""

import emoji

print(emoji.emojize("Hello from an image of one's own :package:"))
