import os

import emoji

print(emoji.emojize(os.environ["GREETING"] + " :snake:"))
