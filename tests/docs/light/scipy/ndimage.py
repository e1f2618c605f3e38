zoom = None
