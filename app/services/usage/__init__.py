"""What an organization uses: counted images, limits, spend caps, daily figures and refusals."""
