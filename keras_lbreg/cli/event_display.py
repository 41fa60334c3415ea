"""The base of what shows the events of a run."""


class EventDisplay:
    """A context manager that hands each event to the handler of its class.

    `handlers`, a dictionary of functions by class, is set by the subclass.
    """

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return None

    def __call__(self, event):
        self.handlers[type(event)](event)
