"""A language model with nothing to say: random weights, a few hundred kilobytes."""

import gguf
import numpy

CONTEXT = 512  # tokens
WIDTH = 64
HEADS = 4
HIDDEN = 128
PRINTABLE = ["\u2581"] + [chr(code) for code in range(33, 127)]
TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "assistant:"
)


def write_tiny_model(path):
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    add_vocabulary(writer)
    add_weights(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def special():
    """The tokens that are never text: three of control, and one for each byte."""
    return ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]


def add_vocabulary(writer):
    kind = gguf.TokenType
    tokens = special() + PRINTABLE
    kinds = [kind.UNKNOWN] + [kind.CONTROL] * 2 + [kind.BYTE] * 256
    kinds += [kind.NORMAL] * len(PRINTABLE)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(kinds)
    writer.add_vocab_size(len(tokens))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(TEMPLATE)


def add_weights(writer):
    dice = numpy.random.default_rng(7)
    size = len(special()) + len(PRINTABLE)

    def random(*shape):
        return (dice.standard_normal(shape) * 0.3).astype(numpy.float32)

    def ones():
        return numpy.ones(WIDTH, numpy.float32)

    # A constant direction of the hidden state, by which special tokens are made unlikely: the
    # model then says printable characters only and never ends by itself.
    embeddings, output, norm = random(size, WIDTH), random(size, WIDTH), ones()
    embeddings[:, 0] = 50.0
    output[:, 0] = 5.0
    output[: len(special()), 0] = -5.0
    writer.add_tensor("token_embd.weight", embeddings)
    writer.add_tensor("output.weight", output)
    writer.add_tensor("output_norm.weight", norm)
    block = "blk.0."
    for name in ("attn_norm", "ffn_norm"):
        writer.add_tensor(f"{block}{name}.weight", ones())
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"{block}{name}.weight", random(WIDTH, WIDTH))
    for name, shape in (("gate", (HIDDEN, WIDTH)), ("up", (HIDDEN, WIDTH)), ("down", (WIDTH, HIDDEN))):
        writer.add_tensor(f"{block}ffn_{name}.weight", random(*shape))
