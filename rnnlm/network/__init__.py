"""The network: embedding, recurrent layers, output layer, over one window."""
