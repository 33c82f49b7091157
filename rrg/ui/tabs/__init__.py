"""The tabs of the page, one file each. `build(service)` builds a tab; `rrg/ui/page.py` lists them."""
