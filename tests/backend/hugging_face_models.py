"""Tiny Hugging Face models, built from their configuration classes: nothing is downloaded.

``build(name)`` is a factory for ``Session.open``; sizes are as small as each architecture allows.
"""

from __future__ import annotations

import warnings
from typing import Any

from torch import nn

_WIDTH = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_TEXT = {**_WIDTH, "intermediate_size": 24, "vocab_size": 60, "max_position_embeddings": 32}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
_CAUSAL = {**_TEXT, **_TOKENS, "num_key_value_heads": 1, "head_dim": 8}
_VISION = {**_WIDTH, "intermediate_size": 24, "image_size": 16, "patch_size": 8}
_BOTH = {  # encoder and decoder
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_ffn_dim": 24,
    "vocab_size": 60,
    "max_position_embeddings": 32,
}
_T5 = {"d_model": 16, "d_kv": 8, "d_ff": 24, "num_layers": 1, "num_heads": 2, "vocab_size": 60}
_CONVOLUTIONS = {"conv_dim": (8, 8), "conv_stride": (4, 2), "conv_kernel": (8, 4)}
_SOUND = {
    **_WIDTH,
    **_CONVOLUTIONS,
    "intermediate_size": 24,
    "vocab_size": 20,
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "feat_extract_norm": "layer",
}
_STAGES = {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2}

# Class of the model, class of its configuration, arguments of that.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    # -- decoders
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 16, "n_layer": 1, "n_head": 2, "vocab_size": 60, "n_positions": 32},
    ),
    "gpt_neo": (
        "GPTNeoForCausalLM",
        "GPTNeoConfig",
        {
            "hidden_size": 16,
            "num_layers": 2,
            "num_heads": 2,
            "attention_types": [[["global", "local"], 1]],
            "vocab_size": 60,
            "max_position_embeddings": 32,
        },
    ),
    "gpt_neox": ("GPTNeoXForCausalLM", "GPTNeoXConfig", _TEXT),
    "gptj": (
        "GPTJForCausalLM",
        "GPTJConfig",
        {
            "n_embd": 16,
            "n_layer": 1,
            "n_head": 2,
            "rotary_dim": 4,
            "vocab_size": 60,
            "n_positions": 32,
        },
    ),
    "opt": (
        "OPTForCausalLM",
        "OPTConfig",
        {**_TEXT, "ffn_dim": 24, "word_embed_proj_dim": 16},
    ),
    "bloom": (
        "BloomForCausalLM",
        "BloomConfig",
        {"hidden_size": 16, "n_layer": 1, "n_head": 2, "vocab_size": 60},
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", _CAUSAL),
    "mistral": ("MistralForCausalLM", "MistralConfig", _CAUSAL),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", _CAUSAL),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", _CAUSAL),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", _CAUSAL),
    "phi": ("PhiForCausalLM", "PhiConfig", _TEXT),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", {**_TEXT, **_TOKENS}),
    "falcon": ("FalconForCausalLM", "FalconConfig", {**_WIDTH, "vocab_size": 60}),
    "stablelm": ("StableLmForCausalLM", "StableLmConfig", {**_TEXT, "num_key_value_heads": 1}),
    "starcoder2": (
        "Starcoder2ForCausalLM",
        "Starcoder2Config",
        {**_TEXT, "num_key_value_heads": 1},
    ),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", _TEXT),
    "cohere": ("CohereForCausalLM", "CohereConfig", {**_CAUSAL}),
    "granite": ("GraniteForCausalLM", "GraniteConfig", _CAUSAL),
    # -- mixtures of experts
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", {**_CAUSAL, "num_local_experts": 2}),
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        {
            **_CAUSAL,
            "num_experts": 3,
            "moe_intermediate_size": 8,
            "shared_expert_intermediate_size": 8,
        },
    ),
    "olmoe": (
        "OlmoeForCausalLM",
        "OlmoeConfig",
        {**_TEXT, "num_experts": 3, "num_experts_per_tok": 2},
    ),
    "deepseek_v3": (
        "DeepseekV3ForCausalLM",
        "DeepseekV3Config",
        {
            **_TEXT,
            "num_hidden_layers": 2,
            "first_k_dense_replace": 1,
            "moe_intermediate_size": 8,
            "n_routed_experts": 4,
            "n_group": 2,
            "topk_group": 1,
            "num_experts_per_tok": 2,
            "kv_lora_rank": 4,
            "q_lora_rank": 4,
            "qk_rope_head_dim": 4,
            "qk_nope_head_dim": 4,
            "v_head_dim": 8,
        },
    ),
    "switch_transformers": (
        "SwitchTransformersForConditionalGeneration",
        "SwitchTransformersConfig",
        {
            **_T5,
            "num_decoder_layers": 1,
            "num_experts": 2,
            "num_sparse_encoder_layers": 1,
            "num_sparse_decoder_layers": 1,
        },
    ),
    # -- state spaces and recurrences
    "mamba": (
        "MambaForCausalLM",
        "MambaConfig",
        {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 60, "state_size": 4},
    ),
    "mamba2": (
        "Mamba2ForCausalLM",
        "Mamba2Config",
        {
            "hidden_size": 16,
            "num_hidden_layers": 1,
            "vocab_size": 60,
            "state_size": 4,
            "num_heads": 4,
            "head_dim": 8,
            "n_groups": 1,
        },
    ),
    "falcon_mamba": (
        "FalconMambaForCausalLM",
        "FalconMambaConfig",
        {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 60, "state_size": 4},
    ),
    "jamba": (
        "JambaForCausalLM",
        "JambaConfig",
        {
            **_TEXT,
            "num_key_value_heads": 1,
            "num_hidden_layers": 2,
            "num_experts": 2,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "mamba_d_state": 4,
        },
    ),
    "recurrent_gemma": (
        "RecurrentGemmaForCausalLM",
        "RecurrentGemmaConfig",
        {**_CAUSAL, "num_hidden_layers": 3, "lru_width": 16},
    ),
    # -- encoders
    "bert": ("BertForMaskedLM", "BertConfig", _TEXT),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", _TEXT),
    "albert": ("AlbertForPreTraining", "AlbertConfig", {**_TEXT, "embedding_size": 8}),
    "distilbert": (
        "DistilBertForMaskedLM",
        "DistilBertConfig",
        {
            "dim": 16,
            "n_layers": 1,
            "n_heads": 2,
            "hidden_dim": 24,
            "vocab_size": 60,
            "max_position_embeddings": 32,
        },
    ),
    "electra": ("ElectraForPreTraining", "ElectraConfig", {**_TEXT, "embedding_size": 8}),
    "deberta_v2": (
        "DebertaV2ForMaskedLM",
        "DebertaV2Config",
        {**_TEXT, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    "mpnet": ("MPNetForMaskedLM", "MPNetConfig", _TEXT),
    "fnet": ("FNetForMaskedLM", "FNetConfig", _TEXT),
    "modernbert": (
        "ModernBertForMaskedLM",
        "ModernBertConfig",
        {**_TEXT, **_TOKENS, "cls_token_id": 1, "sep_token_id": 2},
    ),
    "longformer": ("LongformerForMaskedLM", "LongformerConfig", {**_TEXT, "attention_window": [4]}),
    "xlnet": (
        "XLNetLMHeadModel",
        "XLNetConfig",
        {"d_model": 16, "n_layer": 1, "n_head": 2, "d_inner": 24, "vocab_size": 60},
    ),
    "roformer": ("RoFormerForMaskedLM", "RoFormerConfig", {**_TEXT, "embedding_size": 8}),
    # -- encoders with decoders
    "t5": ("T5ForConditionalGeneration", "T5Config", _T5),
    "umt5": ("UMT5ForConditionalGeneration", "UMT5Config", _T5),
    "bart": ("BartForConditionalGeneration", "BartConfig", _BOTH),
    "pegasus": ("PegasusForConditionalGeneration", "PegasusConfig", _BOTH),
    "marian": (
        "MarianMTModel",
        "MarianConfig",
        {**_BOTH, "pad_token_id": 0, "decoder_start_token_id": 0},
    ),
    "led": (
        "LEDForConditionalGeneration",
        "LEDConfig",
        {
            **{k: v for k, v in _BOTH.items() if k != "max_position_embeddings"},
            "attention_window": 4,
            "max_encoder_position_embeddings": 32,
            "max_decoder_position_embeddings": 32,
        },
    ),
    # -- vision
    "vit": ("ViTForImageClassification", "ViTConfig", _VISION),
    "beit": (
        "BeitForImageClassification",
        "BeitConfig",
        {**_VISION, "vocab_size": 60, "use_relative_position_bias": True},
    ),
    "dinov2": ("Dinov2Model", "Dinov2Config", _VISION),
    "swin": (
        "SwinForImageClassification",
        "SwinConfig",
        {
            "embed_dim": 8,
            "depths": [1, 1],
            "num_heads": [1, 2],
            "window_size": 2,
            "image_size": 16,
            "patch_size": 2,
        },
    ),
    "convnext": ("ConvNextForImageClassification", "ConvNextConfig", _STAGES),
    "resnet": (
        "ResNetForImageClassification",
        "ResNetConfig",
        {"hidden_sizes": [8, 16], "depths": [1, 1], "embedding_size": 8, "layer_type": "basic"},
    ),
    "segformer": (
        "SegformerForSemanticSegmentation",
        "SegformerConfig",
        {
            "num_encoder_blocks": 2,
            "depths": [1, 1],
            "sr_ratios": [2, 1],
            "hidden_sizes": [8, 16],
            "patch_sizes": [3, 3],
            "strides": [2, 2],
            "num_attention_heads": [1, 2],
            "mlp_ratios": [2, 2],
            "decoder_hidden_size": 16,
        },
    ),
    # -- sound
    "wav2vec2": ("Wav2Vec2ForCTC", "Wav2Vec2Config", _SOUND),
    "hubert": ("HubertForCTC", "HubertConfig", _SOUND),
    "whisper": (
        "WhisperForConditionalGeneration",
        "WhisperConfig",
        {
            **{k: v for k, v in _BOTH.items() if k != "max_position_embeddings"},
            **_TOKENS,
            "decoder_start_token_id": 1,
            "num_mel_bins": 8,
            "max_source_positions": 16,
            "max_target_positions": 16,
        },
    ),
    "encodec": (
        "EncodecModel",
        "EncodecConfig",
        {
            "num_filters": 4,
            "hidden_size": 8,
            "codebook_size": 8,
            "codebook_dim": 8,
            "upsampling_ratios": [2, 2],
            "num_lstm_layers": 1,
        },
    ),
    # -- several senses
    "clip": (
        "CLIPModel",
        "CLIPConfig",
        {"text_config": _TEXT, "vision_config": _VISION, "projection_dim": 8},
    ),
    "siglip": ("SiglipModel", "SiglipConfig", {"text_config": _TEXT, "vision_config": _VISION}),
    "vilt": ("ViltModel", "ViltConfig", {**_TEXT, "image_size": 16, "patch_size": 8}),
    "llava": (
        "LlavaForConditionalGeneration",
        "LlavaConfig",
        {
            "text_config": {**_CAUSAL, "model_type": "llama"},
            "vision_config": {**_VISION, "model_type": "clip_vision_model"},
            "image_token_id": 3,
        },
    ),
    "lxmert": (
        "LxmertForPreTraining",
        "LxmertConfig",
        {
            **{k: v for k, v in _TEXT.items() if k != "num_hidden_layers"},
            "l_layers": 1,
            "r_layers": 1,
            "x_layers": 1,
            "visual_feat_dim": 8,
            "num_qa_labels": 5,
            "num_object_labels": 5,
            "num_attr_labels": 5,
        },
    ),
}


def build(name: str) -> nn.Module:
    """A freshly initialised tiny model in eval mode, as transformers makes it."""
    import transformers

    model_class, config_class, arguments = MODELS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about tokens that these sizes do not have
        config = getattr(transformers, config_class)(**arguments)
        made: nn.Module = getattr(transformers, model_class)(config)
    return made
