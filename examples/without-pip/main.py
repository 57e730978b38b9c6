import importlib.util

import emoji

print("pip is here:", importlib.util.find_spec("pip") is not None)
print("emoji is here:", emoji.is_emoji("👋"))
