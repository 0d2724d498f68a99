"""``mixer check``, ``mixer quota`` and ``mixer report``: asking a Mixer, in Istio's protocol."""
