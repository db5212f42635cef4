/* Any bytes as a job or as an answer of a generation: refused, or what comes back from its own
 * encoding. */
#include "common/generate.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_job(const struct generate_job *job)
{
    struct buffer bytes;
    struct generate_job again;
    buffer_init(&bytes, GENERATE_MAX_JOB_BYTES);
    if (generate_job_encode(job, &bytes, NULL) != ST_OK) abort();
    if (generate_job_decode(bytes.bytes, bytes.n_bytes, &again, NULL) != ST_OK) abort();
    if (again.n_prompts != job->n_prompts || again.n_interventions != job->n_interventions ||
        again.seed != job->seed)
        abort();
    buffer_fini(&bytes);
}

static void check_answer(const struct generate_answer *answer)
{
    struct buffer first, second;
    struct generate_answer again;
    buffer_init(&first, GENERATE_MAX_ANSWER_BYTES);
    buffer_init(&second, GENERATE_MAX_ANSWER_BYTES);
    if (generate_answer_encode(answer, &first, NULL) != ST_OK) abort();
    if (generate_answer_decode(first.bytes, first.n_bytes, &again, NULL) != ST_OK) abort();
    if (generate_answer_encode(&again, &second, NULL) != ST_OK) abort();
    if (first.n_bytes != second.n_bytes || memcmp(first.bytes, second.bytes, first.n_bytes) != 0)
        abort();
    generate_answer_fini(&again);
    buffer_fini(&first);
    buffer_fini(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct generate_job job;
    struct generate_answer answer;
    if (generate_job_decode(data, size, &job, NULL) == ST_OK) check_job(&job);
    if (generate_answer_decode(data, size, &answer, NULL) == ST_OK) {
        check_answer(&answer);
        generate_answer_fini(&answer);
    }
    return 0;
}
