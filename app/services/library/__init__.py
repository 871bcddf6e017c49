"""A workspace's library: assets, collections, uploads, images and their renditions."""
