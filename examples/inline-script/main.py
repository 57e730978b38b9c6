# /// script
# requires-python = ">=3.9"
# dependencies = ["emoji>=2,<3"]
# ///
import emoji

print(emoji.demojize("🐍"))
