"""The switches that servers and gateways take beside what their API documents, in all formats alike.

Sources (read 2026-11-26): the request models of vLLM 0.33, SGLang 0.5 and NVIDIA Dynamo, the parameters of llama.cpp's
server, of LiteLLM 1.106 to 1.109, and the API references of Groq, Cerebras, OpenRouter, Fireworks, Qwen, Mistral, Moonshot and
DeepSeek. Gateways pass on what they do not know, so each is told at every door.
"""

from __future__ import annotations

from collections.abc import Mapping

from hardening.wire.pins import (
    Pin,
    Touch,
    is_off,
    names_none,
    off,
    on,
    quiet,
    shape,
    stops,
    turns,
    unset,
    unset_but,
)
from hardening.wire.roles import Role
from hardening.wire.steering import STEERING

TRACE, ROWS, IDS, STATES, PROMPT, GIVEN = (
    Touch.TRACE,
    Touch.ROWS,
    Touch.IDS,
    Touch.STATES,
    Touch.PROMPT,
    Touch.GIVEN,
)
_DEBUG = TRACE | ROWS | IDS | PROMPT | GIVEN

_TOLD = TRACE | ROWS | GIVEN
_SERVERS = (
    "api_base",
    "base_url",
    "user_config",
    "model_list",
    "aws_bedrock_runtime_endpoint",
    "sagemaker_base_url",
    "deployment_url",
    "s3_endpoint_url",
)
_HOOKS = ("webhook", "webhook_url", "callback_url")
_CALLBACKS = ("callbacks", "success_callback", "failure_callback")
# Where LiteLLM writes what it logs of a request, by accounts of the caller's.
_LOGS = (
    "{langfuse_host,langfuse_public_key,langfuse_secret,langfuse_secret_key}",
    "{langsmith_api_key,langsmith_base_url,arize_api_key,arize_space_id,arize_space_key}",
    "{langsmith_project,langsmith_tenant_id,slack_webhook_url,braintrust_api_key,braintrust_project,braintrust_host}",
    "{humanloop_api_key,posthog_api_key,posthog_api_url,posthog_host,lunary_public_key,weave_project_id,wandb_api_key}",
    "{dd_api_key,dd_site,dd_agent_host,dd_agent_port,newrelic_api_key,newrelic_region}",
    "{signoz_ingestion_endpoint,signoz_ingestion_key}",
    "{gcs_bucket_name,gcs_path_service_account}",
)

_ELSEWHERE = frozenset(
    {*_SERVERS, *_HOOKS, *_CALLBACKS, *(name for row in _LOGS for name in row.strip("{}").split(","))}
)

# Templates read one of these names, parsers another: only together with `true`, the default, do they agree.
_THINKS = frozenset({"enable_thinking", "thinking"})


def _template_thinks(value: object) -> bool:
    """Whether variables of a template ask for nothing but thinking."""
    return isinstance(value, dict) and all(
        (key in _THINKS and asked is True)
        or (key == "reasoning_effort" and isinstance(asked, str) and not is_off(asked))
        for key, asked in value.items()
    )


SWITCHES: Mapping[str, Pin] = {
    # Where the trace goes, and whether it is told from the answer at all.
    "reasoning_format": unset(TRACE, "auto", "deepseek", "parsed", "hidden"),
    "{include_reasoning,separate_reasoning,stream_reasoning}": on(TRACE),
    "{reasoning_in_content,merge_reasoning_content_in_choices,thinking_forced_open}": off(TRACE),
    "{chat_format,chat_parser,additionalModelResponseFieldPaths}": unset(TRACE),
    "response_fields": unset(TRACE | GIVEN),
    "thinking_display": unset(TRACE, "summarized", "omitted"),
    "preserve_thinking": off(TRACE),
    "reasoning.exclude": off(TRACE),
    # Whether the model thinks: parsers that are told no take all for the answer, also of a model that thinks on.
    "{enable_thinking,reasoning.enabled}": unset(TRACE, True),
    "disable_reasoning": off(TRACE),
    # Where it does not, the answer begins at once, and a grammar can keep a tag out of it; one that is no JSON does wherever
    # servers hold all that a model writes to it.
    "{reasoning_effort,reasoning.effort,reasoning.max_tokens,thinking,think}": quiet(TRACE),
    "{thinking_budget,thinking_token_budget,reasoning_budget,max_thinking_tokens}": quiet(TRACE),
    "{guided_regex,regex,nvext.guided_regex}": shape(TRACE, "regex"),
    "{guided_grammar,grammar,ebnf,nvext.guided_grammar}": shape(TRACE, "grammar"),
    "structural_tag": shape(TRACE, "structural_tag"),
    "{guided_json,json_schema,structured_outputs,response_format,format,text}": shape(TRACE, "json"),
    "nvext.guided_json": shape(TRACE, "json"),
    "{output_config,output_format,tools,functions}": shape(TRACE, "json"),
    # The prompt, in which the template opens the trace.
    "{chat_template,generation_prompt,input_ids,prompt_token_ids,prompt_embeds,previous_input_messages}": unset(
        TRACE
    ),
    "chat_template_kwargs": unset_but(TRACE, _template_thinks),
    "{add_generation_prompt,do_preprocess}": on(TRACE),
    "{continue_final_message,nvext.use_raw_prompt}": off(TRACE),
    "messages": turns(TRACE),
    "messages[].{prefix,partial}": off(TRACE),
    # Tags that never come.
    "{skip_special_tokens,detokenize}": on(TRACE),
    "{stop,stop_sequences}": stops(TRACE),
    "stop_regex": unset(TRACE),
    # Which tokens may come at all: without an opening tag nothing tells a trace; with one forced after another
    # their values do, and by bisection the text alone.
    "{logit_bias,allowed_token_ids,bad_words,bad_words_ids}": unset(TRACE | ROWS, {}, []),
    "{logits_processors,custom_logit_processor}": unset(TRACE | ROWS, []),
    # Rows of the prompt, of chosen tokens, of all.
    "{prompt_logprobs,echo_last}": unset(ROWS | GIVEN),
    "{logprob_token_ids,token_ids_logprob,label_token_ids}": unset(ROWS),
    "{echo,return_logprob}": off(ROWS | GIVEN),
    "{post_sampling_probs,return_sampling_mask}": off(ROWS),
    "{return_logits,return_context_logits,return_generation_logits}": off(ROWS),
    # Token ids, in which a trace can be read.
    "{return_token_ids,return_prompt_token_ids,return_input_ids_in_sglext}": off(IDS | GIVEN),
    "{return_tokens_as_token_ids,return_tokens,return_output_ids_in_sglext}": off(IDS),
    "nvext.{annotations,extra_fields,token_data}": unset(IDS | PROMPT | GIVEN),
    # What the model computes on the way.
    "{return_hidden_states,return_pooled_hidden_states,return_encoder_output}": off(STATES),
    "{return_routed_experts,return_indexer_topk}": off(STATES),
    "additional_model_outputs": unset(STATES),
    # The prompt as the model saw it, and all once more.
    "return_prompt_text": off(PROMPT | GIVEN),
    "{return_full_text,decoder_input_details,return_prompt,include_prompt,return_prompt_logprobs}": off(
        GIVEN
    ),
    # To whom else it goes: another server, or who is told of all, the answer as the model gave it.
    f"{{{','.join(_SERVERS)}}}": unset(GIVEN),
    # What stands in a target is sent with it, and targets stand as deep as one likes.
    "{,router_settings_override.}{fallbacks,context_window_fallbacks,content_policy_fallbacks}": unset_but(
        _TOLD, lambda value: names_none(value, _ELSEWHERE)
    ),
    "kv_transfer_params.remote_host": unset(GIVEN),
    f"{{{','.join(_HOOKS)}}}": unset(_TOLD),
    f"{{{','.join(_CALLBACKS)}}}": unset(_TOLD, []),
    **{f"{{,metadata.,litellm_metadata.,litellm_params.metadata.}}{name}": unset(_TOLD) for name in _LOGS},
    "{return_meta_info,verbose,raw_output,enable_response_messages,_debug_render_only}": off(_DEBUG),
    "debug": unset(_DEBUG),
}
"""By path, what a caller may not set where it brings what is withheld from him."""

NESTED = (
    "extra_body",
    "extra_args",
    "extra_params",
    "vllm_xargs",
    "sampling_params",
    "options",
    "parameters",
    "provider",
)
"""Objects in which some clients and gateways put such switches, and what else they pass on."""

NESTED_SWITCHES: Mapping[str, Pin] = {"model": unset(Touch.MODEL)}
"""What is one only there: another model than the policy's rules were asked about, whatever they withhold."""

ASKS: Mapping[str, Role] = {
    "{models,fallbacks,context_window_fallbacks,content_policy_fallbacks}": Role.ASK_MODELS,
    "router_settings_override.{fallbacks,context_window_fallbacks,content_policy_fallbacks,model_group_alias}": Role.ASK_MODELS,
    "{n,best_of,num_return_sequences,candidateCount}": Role.ASK_CHOICES,
    "{max_tokens,max_completion_tokens,max_output_tokens}": Role.ASK_TOKENS,
    "{max_new_tokens,maxOutputTokens,maxTokens,n_predict,num_predict}": Role.ASK_TOKENS,
    "{logprobs,n_probs}": Role.ASK_LOGPROBS,
    "{top_logprobs,top_logprobs_num,top_n_tokens}": Role.ASK_TOP,
    "{prompt_logprobs,logprob_token_ids}": Role.ASK_ROWS,
    "{temperature,top_p,top_k,min_p,typical_p,typ_p,top_a,top_n_sigma,tfs_z,topP,topK}": Role.ASK_SCALE,
    "nvext.{temperature,top_p,top_k,min_p}": Role.ASK_SCALE,
    **STEERING,
}
"""What is asked by the names of any server: which models may answer, how many answers, how long, with which rows, and of which distribution."""
