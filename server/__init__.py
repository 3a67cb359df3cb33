"""The HTTP service: a thin edge over :class:`srnet.Upscaler`.

``create_app`` in ``server/app.py`` builds the application, ``server/main.py`` runs it.
No picture or network code lives here; ``srnet`` never imports this package, except the
command line, which is an edge itself.
"""
