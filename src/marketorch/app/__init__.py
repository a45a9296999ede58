"""The page on which people try the models: photos, texts, titles and whole folders of posts.

`answers` turns what somebody puts in into what is shown, `uploads` keeps files within bounds, and
`page` lays it all out. Only `page` imports gradio, and only when a page is asked for.
"""
