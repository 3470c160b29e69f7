import EttinPretraining
import EttinTraining
import Testing

@Suite("Recipes that cannot be")
struct RecipeBadInputTests {
    struct Case: CustomStringConvertible, Sendable {
        let overrides: [String]
        let message: String
        var description: String { overrides.joined(separator: " ") }

        init(_ overrides: String..., message: String) {
            self.overrides = overrides
            self.message = message
        }
    }

    @Test(
        "a wrong value is named with its key, what it is and what was expected",
        arguments: [
            Case(
                "max_duratoin=5ba",
                message: "max_duratoin: is not a key of a recipe; expected a known key; did you mean max_duration?"
            ),
            Case("lr=1", message: "lr: is not a key of a recipe; expected a known key; did you mean optimizer.lr?"),
            Case(
                "optimizer.learning=1",
                message: "optimizer.learning: is not a key of optimizer; expected one of name, lr, betas"
            ),
            Case(
                "model.model_config.attn_type=x",
                message: "model.model_config.attn_type: is not a key of model.model_config"
            ),
            Case("max_duration=", message: "max_duration: is empty; expected a time"),
            Case("max_duration=1000", message: "max_duration: is \"1000\"; expected a number with a unit: iter, ep"),
            Case(
                "max_duration=0.5dur",
                message: "max_duration: is 0.5dur; expected a time in iter, ep, ba, sp, tok, sec"
            ),
            Case("max_duration=0tok", message: "max_duration: is 0tok; expected a length above 0"),
            Case("optimizer.lr=fast", message: "optimizer.lr: is \"fast\"; expected a number"),
            Case("optimizer.lr='3e-3'", message: "optimizer.lr: is the text \"3e-3\"; expected a number"),
            Case("optimizer.lr=0x1p3", message: "optimizer.lr: is \"0x1p3\"; expected a number"),
            Case("optimizer.lr=.inf", message: "optimizer.lr: is \".inf\"; expected a number"),
            Case("optimizer.lr=-1", message: "optimizer.lr: is -1.0; expected a number above 0"),
            Case("optimizer.betas=[0.9]", message: "optimizer.betas: is a list; expected a list of 2 numbers"),
            Case("optimizer.betas=[0.9, x]", message: "optimizer.betas[1]: is \"x\"; expected a number"),
            Case("optimizer.name=decoupled_stableadam", message: "did you mean decoupled_stableadamw?"),
            Case(
                "global_train_batch_size=4.5",
                message: "global_train_batch_size: is \"4.5\"; expected a whole number, 1"
            ),
            Case("global_train_batch_size=0", message: "global_train_batch_size: is \"0\"; expected a whole number, 1"),
            Case("global_train_batch_size=99999999999", message: "expected a whole number, 1 to 16777216"),
            Case("seed=-1", message: "seed: is \"-1\"; expected a whole number, 0 or more"),
            Case(
                "model.model_config.max_position_embeddings=64",
                message: "max_position_embeddings: is 64, but max_seq_len is 128; expected at least as many"
            ),
            Case(
                "train_loader.drop_last=maybe",
                message: "train_loader.drop_last: is \"maybe\"; expected true or false"
            ),
            Case("train_loader=[1]", message: "train_loader: is a list; expected a mapping"),
            Case("train_loader=null", message: "train_loader: is empty; expected a mapping with the data"),
            Case(
                "train_loader.dataset.local=null",
                message: "train_loader.dataset.local: is empty; expected the folder"
            ),
            Case("train_loader.name=images", message: "train_loader.name: is \"images\"; expected text"),
            Case(
                "train_loader.dataset.mlm_probability=1.5",
                message: "mlm_probability: is \"1.5\"; expected a probability"
            ),
            Case("scheduler.name=warmup_stable_decy", message: "did you mean warmup_stable_decay?"),
            Case(
                "scheduler.t_max=5ba",
                message: "scheduler.t_max: is given, but scheduler.name is warmup_stable_decay"
            ),
            Case("scheduler.alpha_f=null", message: "scheduler.alpha_f: is empty; expected the factor at the end"),
            Case(
                "scheduler.t_warmup=200_000tok",
                message: "scheduler.t_warmup + scheduler.t_decay: are 220000tok; expected at most max_duration"
            ),
            Case("precision=amp_fp16", message: "precision: is \"amp_fp16\"; expected fp32, amp_bf16"),
            Case("model.name=flex_llama", message: "model.name: is \"flex_llama\"; expected one of flex_bert"),
            Case(
                "model.pretrained_checkpoint=x",
                message: "model.pretrained_checkpoint: is not supported; expected load_path"
            ),
            Case(
                "model.model_config.init_method=mitchell",
                message: "init_method: is \"mitchell\"; expected full_megatron"
            ),
            Case("model.model_config.attention_layer=base", message: "attention_layer: is \"base\"; expected rope"),
            Case("model.model_config.embed_norm=false", message: "embed_norm: is false; expected true"),
            Case("model.model_config.rotary_emb_dim=32", message: "rotary_emb_dim: is not supported; expected null"),
            Case("model.model_config.num_attention_heads=3", message: "model.model_config: is not a valid model"),
            Case("model.model_config.hidden_size=null", message: "hidden_size: is empty; expected a whole number"),
            Case("model.model_config.mlp_in_bias=true", message: "mlp_in_bias: is true, but mlp_out_bias is false"),
            Case("model.model_config.loss_kwargs={reduction: sum}", message: "reduction: is \"sum\"; expected mean"),
            Case("fsdp_config={a: 1}", message: "fsdp_config: is not supported"),
            Case("count_padding_tokens=true", message: "count_padding_tokens: is true; expected false"),
            Case("algorithms.alibi={}", message: "algorithms.alibi: is not supported"),
            Case(
                "algorithms.gradient_clipping={clipping_type: value}",
                message: "clipping_type: is \"value\"; expected norm"
            ),
            Case(
                "algorithms.gradient_clipping={}",
                message: "clipping_threshold: is not there; expected the largest norm"
            ),
            Case("algorithms.ema={half_life: 0ba}", message: "half_life: is 0ba; expected 1ba or more"),
            Case("callbacks.speed_monitr={}", message: "did you mean callbacks.speed_monitor?"),
            Case("save_num_checkpoints_to_keep=0", message: "save_num_checkpoints_to_keep: is 0, which keeps nothing"),
            Case("rules.loss_weighting=both", message: "rules.loss_weighting: is \"both\"; expected literal, intended"),
            Case(
                "rules.decoder_window=wide",
                message: "rules.decoder_window: is \"wide\"; expected training or transformers"
            ),
            Case("phase=warm", message: "phase: is \"warm\"; expected step, ext, decay"),
            Case("eval_subset_num_batches=0", message: "eval_subset_num_batches: is 0; expected 1 or more"),
        ]
    )
    func values(_ wrong: Case) {
        let message = RecipeText.message(RecipeText.encoder, wrong.overrides)
        #expect(message.contains(wrong.message), "\(message)")
        #expect(message.hasPrefix("r.yaml"), "\(message)")
        #expect(!message.contains("\n"))
    }

    @Test(
        "settings that contradict each other are named together",
        arguments: [
            Case(
                "max_tokens_per_microbatch=5",
                message: "max_tokens_per_microbatch: is 5, but device_train_microbatch_size is 4"
            ),
            Case("autoresume=true", message: "autoresume: is true, but there is no save_folder"),
            Case(
                "autoresume=true",
                "save_folder=x",
                "save_overwrite=true",
                message: "is true, but so is save_overwrite"
            ),
            Case(
                "load_path=x",
                "init_from_checkpoint.checkpoint_load_path=y",
                message: "init_from_checkpoint: is given together with load_path"
            ),
            Case(
                "average_last_checkpoints=5",
                "algorithms.ema={}",
                message: "average_last_checkpoints: is given together with algorithms.ema"
            ),
            Case(
                "algorithms.ema={half_life: 5ba, smoothing: 0.9}",
                message: "smoothing: is given together with half_life"
            ),
            Case("train_loader.dataset.max_seq_len=64", message: "max_seq_len: is 64, but max_seq_len is 128"),
            Case(
                "train_loader.dataset.mlm_probability=0.1",
                message: "mlm_probability: is 0.1, but mlm_probability is 0.3"
            ),
            Case("mlm_probability=0", message: "mlm_probability: is 0.0, but model.name makes an encoder"),
            Case("model.name=flex_gpt", message: "would mask 0.3 of the tokens, but model.name makes a decoder"),
            Case(
                "model.model_config.causal_mask=true",
                message: "causal_mask: is true, but model.name makes an encoder"
            ),
            Case(
                "train_loader.dataset.suppress_masking=true",
                message: "suppress_masking: is true, but model.name makes an encoder"
            ),
            Case(
                "model.tokenizer_name=other",
                message: "tokenizer_name: is \"tokenizer\", but model.tokenizer_name is \"other\""
            ),
            Case(
                "train_loader.dataset.tokenizer_name=other",
                message: "tokenizer_name: is \"other\", but tokenizer_name is \"tokenizer\""
            ),
            Case("train_loader.dataset.order_path=x", message: "order_path: is \"x\", but shuffle is true"),
            Case("train_loader.dataset.streams={a: {local: x}}", message: "streams: is given together with local"),
            Case(
                "model.model_config.sliding_window=-1",
                message: "sliding_window: is -1, but global_attn_every_n_layers is 3"
            ),
            Case(
                "model.model_config.init_std=0.1",
                "model.model_config.initializer_range=0.2",
                message: "init_std: is 0.1, but initializer_range is 0.2"
            ),
            Case(
                "rules.batch_size_warmup=intended",
                "train_loader.batch_size_warmup_min_size=9",
                message: "is 9, but global_train_batch_size is 8"
            ),
            Case(
                "rules.batch_size_warmup=intended",
                "train_loader.batch_size_warmup_min_size=",
                message: "is given without a number for batch_size_warmup_min_size"
            ),
        ]
    )
    func contradictions(_ wrong: Case) {
        let message = RecipeText.message(RecipeText.encoder, wrong.overrides)
        #expect(message.contains(wrong.message), "\(message)")
    }

    @Test(
        "references that lead nowhere, in a circle or into a text that cannot hold them are refused",
        arguments: [
            Case(
                "run_name=${data_locl}",
                message:
                    "run_name: refers to data_locl, which is not in the recipe; expected the name of a key of the recipe; did you mean data_local?"
            ),
            Case("run_name=${optimizer.lrr}", message: "refers to optimizer.lrr, which is not in the recipe"),
            Case("run_name=${optimizer.lr.x}", message: "refers to optimizer.lr.x, which is not in the recipe"),
            Case("run_name=${run_name}", message: "refers to itself: run_name → run_name"),
            Case(
                "run_name=${save_folder}",
                "save_folder=a-${load_path}",
                "load_path=${run_name}",
                message: "refers to itself"
            ),
            Case("run_name=a-${model}", message: "has ${model} within a text, but model is a mapping"),
            Case(
                "run_name=a-${data_remote}",
                "data_remote=",
                message: "has ${data_remote} within a text, but data_remote is empty"
            ),
            Case("run_name=a-${data_local", message: "has \"${\" without \"}\""),
            Case("run_name=${}", message: "refers to \"${}\""),
            Case("run_name=${oc.env:HOME}", message: "resolvers, nesting and relative names are not supported"),
            Case("run_name=${a${b}}", message: "resolvers, nesting and relative names are not supported"),
        ]
    )
    func references(_ wrong: Case) {
        let message = RecipeText.message(RecipeText.encoder, wrong.overrides)
        #expect(message.contains(wrong.message), "\(message)")
    }

    @Test(
        "overrides that are none are refused",
        arguments: [
            Case("max_duration", message: "\"max_duration\": is not an override; expected key=value"),
            Case("=5", message: "\"=5\": is not an override"),
            Case("a..b=5", message: "\"a..b=5\": has an empty part in its key"),
            Case("optimizer.betas.2=5", message: "override of optimizer.betas.2: asks for \"2\" of a list of 2"),
            Case("optimizer.lr.x=5", message: "override of optimizer.lr.x: asks for \"x\" of \"3e-3\""),
            Case("optimizer.betas=[1", message: "override of optimizer.betas: line 2 is not YAML"),
        ]
    )
    func overrides(_ wrong: Case) {
        let message = RecipeText.message(RecipeText.encoder, wrong.overrides)
        #expect(message.contains(wrong.message), "\(message)")
    }

    @Test(
        "files that are no recipes are refused with the line",
        arguments: [
            ("", "r.yaml: is not YAML: there is no document; expected a mapping of a recipe's keys"),
            ("- a\n", "r.yaml: is a list; expected a mapping of a recipe's keys"),
            ("a: 1\na: 2\n", "r.yaml: line 1 is not YAML: \"a\" occurs twice"),
            ("a: [1\n", "is not YAML"),
            ("1: 2\n{}: 3\n", "r.yaml: line 2 has no text for a key; expected a name"),
            (
                "seed: 5\nmax_seq: 7\n",
                "r.yaml:2: max_seq: is not a key of a recipe; expected a known key; did you mean max_seq_len?"
            ),
            ("optimizer:\n  lr: x\n  \"a\\nb\": 1\n", "r.yaml:"),
            (String(repeating: "[", count: 1000), "is nested too deep"),
        ]
    )
    func files(yaml: String, message: String) {
        let found = RecipeText.message(yaml)
        #expect(found.contains(message), "\(found)")
        #expect(!found.contains("\n"))
    }

    @Test(
        "whatever stands at a key, a recipe is read and planned, or refused with a message of one line",
        arguments: [
            "", "-1", "0", "1", "1e400", "9223372036854775807", "99999999999999999999", "nan", "~", "[]", "{}", "[[1]]",
            "{a: b}", "'", "\"x\\ny\"", "*a", "&a b", "!!int x", "${seed}", "${", "0.5dur", "1e18tok", "auto", "true",
        ]
    )
    func mutations(value: String) {
        let lines = RecipeText.encoder.split(separator: "\n").map(String.init)
        for (place, line) in lines.enumerated() {
            guard let colon = line.firstIndex(of: ":") else { continue }
            var changed = lines
            changed[place] = "\(line[...colon]) \(value)"
            do {
                let recipe = try PretrainingRecipe(yaml: changed.joined(separator: "\n"), name: "r.yaml")
                _ = try PretrainingPlan(recipe).text
            } catch let error as TrainingError {
                #expect(!"\(error)".contains("\n"), "\(line)")
            } catch {
                Issue.record("\(line): \(error)")
            }
        }
    }

    @Test("values that multiply by aliases or references are stopped")
    func explosions() {
        var aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        var references = "b0: [x, x, x, x, x, x, x, x, x, x]\n"
        var texts = "c0: xxxxxxxxxx\n"
        for level in 1..<12 {
            let before = level - 1
            aliases += "a\(level): &a\(level) [\(Array(repeating: "*a\(before)", count: 10).joined(separator: ", "))]\n"
            references += "b\(level): [\(Array(repeating: "\"${b\(before)}\"", count: 10).joined(separator: ", "))]\n"
            texts += "c\(level): \(String(repeating: "${c\(before)}", count: 10))\n"
        }
        #expect(RecipeText.message(aliases).contains("is one of too many values"))
        #expect(RecipeText.message(references).contains("refers to too many values"))
        #expect(RecipeText.message(texts).contains("becomes too long a text"))
    }
}
