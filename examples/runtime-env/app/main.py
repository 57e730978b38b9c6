import emoji
import greetings

print(emoji.emojize(greetings.greeting() + " :sun:"))
