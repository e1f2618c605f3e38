"""Descriptions of images and videos: sentences from nets, and how good they are."""
