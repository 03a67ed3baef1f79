"""What the benches compare with: each as its users would write it, at its best."""
