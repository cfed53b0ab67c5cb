"""What a model's feature maps take: arena, traffic, and the energy of both in a memory system."""
