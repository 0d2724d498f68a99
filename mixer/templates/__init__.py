"""Small projects for authors of plugins, one for each language; ``common`` is in all of them.

Files end in ``.tmpl``; in their text ``{{name}}`` and the like are replaced, and nothing else.
"""

from mixer.templates.project import Language, ProjectError, new_project

__all__ = ["Language", "ProjectError", "new_project"]
