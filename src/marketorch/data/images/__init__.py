"""Images: files and folders of them, faces in photos, videos, and changes in batches."""
