/* What cells.c needs of operations.c, from the heading Batches. */

enum { BLOCK = 32 };

/* Folds the terms within each block, then the blocks' results. */
float fold_blocks(int count, const float terms[count], int block);

/* G, the number of images per chunk. */
int chunk_images(long pixels);
