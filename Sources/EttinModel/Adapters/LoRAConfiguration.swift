/// How an adapter changes a model: PEFT's `adapter_config.json` of type `LORA`.
///
/// Defaults are PEFT's; those of recipes are TRL's.
///
/// > Source: PEFT 0.21 `tuners/lora/config.py`.
public struct LoRAConfiguration: Hashable, Sendable {
    /// A value for the modules whose names a pattern matches from some period on.
    public struct Pattern<Value: Hashable & Sendable>: Hashable, Sendable {
        /// A regular expression, or simply the end of a name.
        public var pattern: String
        /// The value.
        public var value: Value

        /// Gives a value to a pattern.
        public init(_ pattern: String, _ value: Value) { (self.pattern, self.value) = (pattern, value) }
    }

    /// How new adapters are drawn; `init_lora_weights`.
    public enum Initialization: Hashable, Sendable {
        /// `A` uniform in ±1/√in and `B` zero; `true`.
        case standard
        /// `A` normal with a standard deviation of 1/r and `B` zero; `gaussian`.
        case gaussian
        /// Both as linear layers are drawn, so that a new adapter changes the model; `false`.
        case random
    }

    /// The name of the file.
    package static let file = "adapter_config.json"

    /// The model that the adapter changes, a folder or a name on the Hub; `base_model_name_or_path`.
    public var baseModel: String?
    /// The revision of that model; `revision`.
    public var revision: String?
    /// What the model is for, such as `CAUSAL_LM`; `task_type`.
    public var taskType: String?
    /// The width between the matrices; `r`.
    public var rank = 8
    /// What the product is multiplied by, together with the rank; `lora_alpha`.
    public var alpha = 8.0
    /// The probability that an element of an adapter's input is dropped; `lora_dropout`.
    public var dropout = 0.0
    /// The modules that get adapters; nil where a file does not say; `target_modules`.
    public var targets: ModuleSelection?
    /// Modules that get none; `exclude_modules`.
    public var excluded: ModuleSelection?
    /// Modules that are trained and stored whole; `modules_to_save`.
    public var modulesToSave: [String] = []
    /// The layers whose modules get adapters, where targets are names; nil for all; `layers_to_transform`.
    public var layers: [Int]?
    /// What the list of layers is called in names; none for any; `layers_pattern`.
    public var layersPattern: [String] = []
    /// Ranks of some modules; `rank_pattern`.
    public var rankPattern: [Pattern<Int>] = []
    /// Alphas of some modules; `alpha_pattern`.
    public var alphaPattern: [Pattern<Double>] = []
    /// Whether the product is multiplied by α/√r in place of α/r (rsLoRA); `use_rslora`.
    public var usesRankStabilization = false
    /// Whether the lengths of a weight's rows are learned apart (DoRA); `use_dora`.
    public var usesDecomposition = false
    /// How new adapters are drawn; `init_lora_weights`.
    public var initialization = Initialization.standard

    /// Creates a configuration with the defaults of PEFT.
    ///
    /// - Parameter targets: The modules that get adapters.
    public init(targets: ModuleSelection? = nil) {
        self.targets = targets
    }

    /// What the product of an adapter's matrices is multiplied by.
    ///
    /// - Parameters:
    ///   - rank: Its rank.
    ///   - alpha: Its alpha.
    /// - Returns: α/r, or α/√r.
    func scale(rank: Int, alpha: Double) -> Double {
        alpha / (usesRankStabilization ? Double(rank).squareRoot() : Double(rank))
    }

    /// What the modules of a model get adapters by default, as this package suggests; PEFT has no defaults for ModernBERT.
    ///
    /// - Parameter kind: Encoder or decoder.
    /// - Returns: The linear layers of attention and of the MLP.
    public static func defaultTargets(of kind: ModelKind) -> ModuleSelection {
        .names((kind == .decoder ? ["q_proj", "k_proj", "v_proj"] : ["Wqkv"]) + ["Wo", "Wi"])
    }
}
