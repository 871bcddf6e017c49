"""Who there is: keys, people and their organizations, and who is asking."""
