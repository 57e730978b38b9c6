import emoji
import wcwidth

text = emoji.emojize(":waving_hand:")
print(text, "is", wcwidth.wcswidth(text), "columns wide")
