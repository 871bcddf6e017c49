"""What is done to a picture, one small step a file: each takes a libvips image and gives one
back."""
