import os


def greeting():
    return os.environ["GREETING"]
