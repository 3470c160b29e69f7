import EttinInference
import EttinModel
import EttinTables
import EttinTokenizer

/// A small encoder with a tokenizer of its own.
enum TinyEncoder {
    static let texts = [
        "The quick brown fox jumps over the lazy dog.", "A cat sat on the mat; the dog sat on the cat.",
        "Once upon a time there was a fox who liked the sea.", "What do cats eat?",
    ]

    static func write(to folder: String) throws {
        var trainer = BPETrainer(vocabularySize: 320)
        trainer.specialTokens = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"].map { AddedToken($0, isSpecial: true) }
        trainer.roles = [
            "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]", "pad_token": "[PAD]",
            "bos_token": "[CLS]", "eos_token": "[SEP]",
        ]
        var configuration = ModernBERTConfiguration(kind: .encoder)
        configuration.hiddenSize = 32
        configuration.intermediateSize = 48
        configuration.attentionHeads = 2
        configuration.layerTypes = LayerType.pattern(layers: 2, globalEvery: 3)
        configuration.localAttention = 8
        configuration.maxPositionEmbeddings = 32
        // Far from the small values of training's start, so that outputs differ visibly.
        configuration.initializerRange = 0.4
        var initializer = ModelInitializer(configuration: configuration)
        initializer.scheme = .transformers
        try initializer.adopt(trainer.train(texts: texts))
        try initializer.write(toFolder: folder)
    }
}

/// Rows of values.
struct ValueTable: TextTable {
    let columnNames: [String]
    let rows: [[TableValue]]

    init(_ columnNames: [String], _ rows: [[TableValue]]) {
        self.columnNames = columnNames
        self.rows = rows
    }

    var rowCount: Int { rows.count }
    var name: String { "rows" }
    func values(row: Int, columns: [Int]) -> [TableValue] { columns.map { rows[row][$0] } }
    func kind(ofColumn column: Int) -> TableColumnKind { .mixed }
    func place(ofRow row: Int) -> String { "row \(row + 1)" }
}
