import emoji

print(emoji.emojize("Hello from an environment of its own :rocket:"))
