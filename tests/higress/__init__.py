"""The plugins of the package gpustack-higress-plugins: modules of others, unmodified."""
