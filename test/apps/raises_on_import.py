def fail():
    raise ValueError("while imported")


fail()
