resize = None
