"""What a trained network says about a given text."""
