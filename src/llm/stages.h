/* Chunks of a prompt that follow each other through the stages of a pipeline which one host thread issues. */
#ifndef LLM_STAGES_H
#define LLM_STAGES_H

enum { LLM_STAGES_MOST = 64, LLM_STAGES_AHEAD = 4 };

typedef struct llm_stages {
    double steps;    /* chunks, one after the other */
    int stages;      /* at least 1, at most LLM_STAGES_MOST */
    double layers;   /* dealt out to the stages as evenly as they go, the first ones having more */
    double step_s;   /* of a chunk on all stages, one after the other */
    double hop_s;    /* between two stages */
    double launches; /* of a chunk on all stages */
    double queue;    /* launches that wait on a GPU before the host must; 0: any number */
    int ahead;       /* a stage takes a chunk when so many before it have left it, 1 to LLM_STAGES_AHEAD */
} llm_stages;

/* Seconds from the first chunk's start to the last one's end. The host issues a chunk stage by stage and is held up where a GPU's queue is
 * full: stages of more launches than that don't overlap, however many there are. */
double llm_stages_seconds(const llm_stages *s);

#endif
