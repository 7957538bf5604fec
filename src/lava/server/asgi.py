"""The application that a web server such as uvicorn runs."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "lava.server.settings")

# WhiteNoise reads our few small static files in a thread; Django would prefer that it did not.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

application = get_asgi_application()
