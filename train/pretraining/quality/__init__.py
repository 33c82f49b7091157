"""Training and measuring of the heads that check what a picture shows (`rrg.data.quality`)."""
