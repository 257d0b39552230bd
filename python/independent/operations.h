/* What cells.c and stages.c need of operations.c. */

/* Under the heading Batches. */
enum { BLOCK = 32 };

/* Folds the terms within each block, then the blocks' results. */
float fold_blocks(int count, const float terms[count], int block);

/* G, the number of images per chunk. */
int chunk_images(long pixels);

/* Under the heading Forward: the sum of the four stripes. */
float add_stripes(const float stripes[4]);
