import EttinCorpus
import EttinFiles
import EttinJSON
import EttinTables
import EttinTemplates
import EttinTokenizer
import EttinTraining
import Torch

/// How rows of a table become examples of token ids.
///
/// > Source: TRL 1.16, `SFTTrainer._prepare_dataset`.
struct SFTReading {
    /// What a recipe says of it.
    let recipe: SFTRecipe
    let tokenizer: Tokenizer
    /// Renders conversations; nil where neither recipe nor tokenizer has a template.
    let renderer: ConversationRenderer?
    /// Maximum number of tokens of a row.
    let maxLength: Int
    /// The number of tokens that the model has.
    let vocabularySize: Int
    /// Makes a text of the columns of a row; nil for none.
    let formatting: ChatTemplate?

    /// What the columns of a table hold.
    private enum Kind {
        case text(column: Int)
        case messages(column: Int)
        case completion(prompt: Int, completion: Int)
        case tokens(ids: Int, labels: Int?, masks: [Int])
        case formatted(columns: [Int])
    }

    /// Rows that are rendered before their texts are tokenised together.
    private static let blockSize = 2048

    /// Whether the rows of a table are conversations.
    ///
    /// - Parameters:
    ///   - table: The table.
    ///   - recipe: What the recipe says of it.
    /// - Returns: Whether they are.
    static func isConversational(_ table: some TextTable, _ recipe: SFTRecipe) -> Bool {
        guard recipe.formatting == nil, table.column("input_ids") == nil else { return false }
        if let prompt = table.column("prompt"), table.column("completion") != nil {
            return table.kind(ofColumn: prompt) == .list
        }
        return table.column("messages") != nil || table.column("conversations") != nil
    }

    /// Reads a data set.
    ///
    /// - Parameters:
    ///   - table: The rows that the recipe has selected.
    ///   - source: What it says of them.
    /// - Returns: The rows of training.
    /// - Throws: `TrainingError` naming file and row for what cannot be trained on; what reading throws.
    func rows(_ table: TableView, _ source: RowSource) throws -> SFTRows {
        let kind = try kind(of: table)
        let packing = source.isEvaluation ? recipe.evaluationPacking : recipe.packing
        var tokens = SFTTokens()
        // The number of each example's row, while some rows are left out or moved.
        var numbers: [Int32] = []
        var dropped = 0
        let order = packing == nil ? nil : permutation(table.rowCount)
        let count = table.rowCount
        guard count <= Int(Int32.max) else {
            throw TrainingError(.unsupported, table.name, found: "has \(count) rows", expected: "at most \(Int32.max)")
        }
        for start in stride(from: 0, to: count, by: Self.blockSize) {
            let places = start..<min(start + Self.blockSize, count)
            let block = order.map { order in places.map { Int(order[$0]) } } ?? Array(places)
            for (row, example) in zip(block, try examples(block, of: table, kind)) {
                var example = example
                if packing == nil {
                    example.truncate(to: maxLength, keepingEnd: recipe.truncation == .keepEnd)
                    guard example.hasLabel else {
                        dropped += 1
                        continue
                    }
                }
                tokens.append(example)
                numbers.append(Int32(row))
            }
        }
        let lengths = tokens.lengths
        let starts = lengths.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
        var rows =
            packing?.rows(lengths: lengths, maxLength: maxLength)
            ?? lengths.indices.map { [starts[$0]..<starts[$0 + 1]] }
        // What packing cuts off counts no longer.
        let unlabelled = packing == nil ? 0 : rows.count { !$0.joined().contains(where: tokens.isLabelled) }
        guard unlabelled < rows.count else {
            throw TrainingError(
                .invalidOption,
                table.name,
                found: "has no row with a token that counts in the loss within max_length, \(maxLength)",
                expected: "a larger max_length, truncation_mode: keep_end, or data with labels"
            )
        }
        if let order = permutation(rows.count) { rows = order.map { rows[Int($0)] } }
        var warnings: [String] = []
        if dropped > 0 {
            warnings.append(
                "\(table.name): \(dropped) of \(count) rows have no token that counts in the loss within max_length, "
                    + "\(maxLength), and are left out"
            )
        }
        if unlabelled > 0 {
            warnings.append(
                "\(table.name): \(unlabelled) of \(rows.count) packed rows have no token that counts in the loss within "
                    + "max_length, \(maxLength)"
            )
        }
        if case .tokens(_, nil, let masks) = kind, let column = table.column("completion_mask"),
            !masks.contains(column)
        {
            warnings.append("\(table.name): completion_mask has no effect without completion_only_loss: true")
        }
        let places = numbers
        return SFTRows(
            tokens,
            rows: rows,
            (table.name, source.dataset.name),
            columnNames: names(of: kind, table),
            warnings: warnings
        ) { token in
            var (low, high) = (0, starts.count - 1)
            while high - low > 1 {
                let middle = (low + high) / 2
                if starts[middle] <= token { low = middle } else { high = middle }
            }
            return table.place(ofRow: Int(places[low]))
        }
    }

    /// The order that `shuffle_dataset` asks for, as `shuffle` of `datasets` draws it; nil for the order of the table.
    private func permutation(_ count: Int) -> [Int32]? {
        guard recipe.shuffles else { return nil }
        var generator = NumPyGenerator(seed: UInt64(recipe.arguments.seed))
        return generator.permutation(count, as: Int32.self)
    }

    // MARK: Columns

    private func kind(of table: TableView) throws -> Kind {
        if recipe.formatting != nil, table.column("input_ids") == nil {
            return .formatted(columns: Array(table.columnNames.indices))
        }
        let kind: Kind
        if let ids = table.column("input_ids") {
            let labels = table.column("labels")
            kind = .tokens(ids: ids, labels: labels, masks: labels == nil ? masks(of: table) : [])
        } else if let prompt = table.column("prompt"), let completion = table.column("completion") {
            kind = .completion(prompt: prompt, completion: completion)
        } else if let messages = table.column("messages") ?? table.column("conversations") {
            kind = .messages(column: messages)
        } else if let text = table.column(recipe.textField) {
            kind = .text(column: text)
        } else {
            throw TrainingError(
                .unsupported,
                table.name,
                found: "has the columns \(table.columnNames.map { quoted($0) }.joined(separator: ", "))",
                expected:
                    "\(quoted(recipe.textField)) (dataset_text_field), \"messages\", \"conversations\", \"prompt\" and "
                    + "\"completion\", \"input_ids\", or formatting_func"
            )
        }
        let isConversational = Self.isConversational(table, recipe)
        if recipe.countsAssistantOnly, !isConversational {
            throw TrainingError(
                .invalidOption,
                "assistant_only_loss",
                found: "is true, but \(table.name) has no conversations",
                expected: "a column \"messages\", or assistant_only_loss: false"
            )
        }
        if recipe.countsCompletionsOnly == true {
            switch kind {
            case .completion: break
            case .tokens where table.column("labels") != nil || table.column("completion_mask") != nil: break
            default:
                throw TrainingError(
                    .invalidOption,
                    "completion_only_loss",
                    found: "is true, but \(table.name) has no column \"completion\"",
                    expected:
                        "columns \"prompt\" and \"completion\", \"completion_mask\" beside \"input_ids\", or "
                        + "completion_only_loss: false"
                )
            }
        }
        if isConversational, renderer == nil {
            throw TrainingError(
                .missing,
                "chat_template_path",
                found: "is not given, and the tokenizer has no chat template for the conversations of \(table.name)",
                expected: "a .jinja file, a tokenizer, chatml or qwen3"
            )
        }
        return kind
    }

    /// The columns that say which token ids count, where there are no labels.
    private func masks(of table: TableView) -> [Int] {
        let hasCompletions = table.column("prompt") != nil && table.column("completion") != nil
        let names = ["completion_mask", "assistant_masks"]
        return names.dropFirst(recipe.countsCompletionsOnly ?? hasCompletions ? 0 : 1).compactMap { table.column($0) }
    }

    private func names(of kind: Kind, _ table: TableView) -> [String] {
        switch kind {
        case .text(let column), .messages(let column): [table.columnNames[column]]
        case .completion(let prompt, let completion): [table.columnNames[prompt], table.columnNames[completion]]
        case .tokens(let ids, let labels, let masks):
            ([ids, labels].compactMap(\.self) + masks).map { table.columnNames[$0] }
        case .formatted: [recipe.textField]
        }
    }

    // MARK: Rows

    private func examples(_ rows: [Int], of table: TableView, _ kind: Kind) throws -> [SFTExample] {
        switch kind {
        case .tokens(let ids, let labels, let masks):
            return try rows.map { try tokens(table, $0, ids, labels, masks) }
        case .text(let column):
            let texts = try rows.map { withEnd(try text(table, $0, column)) }
            return encoded(texts, addSpecialTokens: true).map { SFTExample(ids: $0) }
        case .formatted(let columns):
            let texts = try rows.map { row in
                let names = columns.map { table.columnNames[$0] }
                let values = JSONObject(zip(names, try table.json(row: row, columns: columns)))
                return try translating(table, row) { try formatting?.render(values) ?? "" }
            }
            return encoded(texts.map(withEnd), addSpecialTokens: true).map { SFTExample(ids: $0) }
        case .messages(let column): return try conversations(table, rows, column)
        case .completion(let prompt, let completion):
            return table.kind(ofColumn: prompt) == .list
                ? try chatCompletions(table, rows, prompt, completion)
                : try textCompletions(table, rows, prompt, completion)
        }
    }

    private func conversations(_ table: TableView, _ rows: [Int], _ column: Int) throws -> [SFTExample] {
        let rendered = try rows.map { row in
            try render(table, row, try messages(table, row, column), try variables(table, row))
        }
        guard recipe.countsAssistantOnly else {
            return encoded(rendered.map(\.text), addSpecialTokens: false).map { SFTExample(ids: $0) }
        }
        return try zip(rows, rendered).map { row, text in
            let (ids, mask) = try assistantMask(table, row, text)
            return SFTExample(ids: ids, labels: zip(ids, mask).map { $1 ? $0 : SFTTokens.ignored })
        }
    }

    private func textCompletions(
        _ table: TableView,
        _ rows: [Int],
        _ prompt: Int,
        _ completion: Int
    ) throws -> [SFTExample] {
        let prompts = try rows.map { try text(table, $0, prompt) }
        let wholes = try zip(rows, prompts).map { row, prompt in
            prompt + withEnd(try text(table, row, completion))
        }
        return zip(encoded(prompts, addSpecialTokens: true), encoded(wholes, addSpecialTokens: true)).map(example)
    }

    private func chatCompletions(
        _ table: TableView,
        _ rows: [Int],
        _ prompt: Int,
        _ completion: Int
    ) throws -> [SFTExample] {
        var (prompts, wholes) = ([String](), [RenderedTemplate]())
        for row in rows {
            let (first, second) = (try messages(table, row, prompt), try messages(table, row, completion))
            let variables = try variables(table, row)
            prompts.append(try render(table, row, first, variables, addsGenerationPrompt: true).text)
            wholes.append(try render(table, row, first + second, variables))
        }
        let promptIDs = encoded(prompts, addSpecialTokens: false)
        guard recipe.countsAssistantOnly else {
            return zip(promptIDs, encoded(wholes.map(\.text), addSpecialTokens: false)).map(example)
        }
        return try zip(rows, zip(promptIDs, wholes)).map { row, texts in
            let (ids, mask) = try assistantMask(table, row, texts.1)
            var example = example(texts.0, ids)
            let labels = example.labels ?? ids
            example.labels = zip(labels, mask).map { $1 ? $0 : SFTTokens.ignored }
            return example
        }
    }

    /// An example whose completion begins where its ids and those of the prompt alone part.
    private func example(_ prompt: [Int32], _ whole: [Int32]) -> SFTExample {
        guard recipe.countsCompletionsOnly ?? true else { return SFTExample(ids: whole) }
        let shared = zip(prompt, whole).prefix { $0 == $1 }.count
        return SFTExample(
            ids: whole,
            labels: Array(repeating: SFTTokens.ignored, count: shared) + whole.dropFirst(shared)
        )
    }

    private func render(
        _ table: TableView,
        _ row: Int,
        _ messages: [JSONValue],
        _ variables: TemplateVariables,
        addsGenerationPrompt: Bool = false
    ) throws -> RenderedTemplate {
        guard let renderer else { preconditionFailure("SFTReading: conversations are checked for a template") }
        return try translating(table, row) {
            try renderer(messages, variables, addsGenerationPrompt: addsGenerationPrompt)
        }
    }

    /// The ids of a text, and which of them the assistant says: those from the token of the first character of a span to
    /// that of the last.
    private func assistantMask(
        _ table: TableView,
        _ row: Int,
        _ text: RenderedTemplate
    ) throws -> (ids: [Int32], mask: [Bool]) {
        let encoding = tokenizer.encode(text.text, addSpecialTokens: false)
        var mask = [Bool](repeating: false, count: encoding.count)
        for span in text.generationSpans where !span.isEmpty {
            guard let first = encoding.offsets.firstIndex(where: { $0.contains(span.lowerBound) }) else { break }
            let last = encoding.offsets.firstIndex { $0.contains(span.upperBound - 1) } ?? encoding.count - 1
            for place in first...max(first, last) { mask[place] = true }
        }
        guard mask.contains(true) else {
            throw TrainingError(
                .malformed,
                table.place(ofRow: row),
                found: "has no token of the assistant",
                expected:
                    "an answer within the template's generation markers, or assistant_only_loss: false"
            )
        }
        return (encoding.ids, mask)
    }

    // MARK: Values

    private func text(_ table: TableView, _ row: Int, _ column: Int) throws -> String {
        guard case .text(let text) = try table.value(row: row, column: column) else {
            throw malformed(table, row, column, "is not a text", "one")
        }
        return text
    }

    /// The messages of a row, with `from` and `value` renamed.
    private func messages(_ table: TableView, _ row: Int, _ column: Int) throws -> [JSONValue] {
        guard let messages = try table.json(row: row, columns: [column])[0].arrayValue else {
            throw malformed(table, row, column, "is not a list of messages", "objects with \"role\" and \"content\"")
        }
        guard !messages.isEmpty else { throw malformed(table, row, column, "has no messages", "at least one") }
        return try messages.map { message in
            if let read = ChatTemplate.message(message) { return read }
            guard let object = message.objectValue else {
                throw malformed(table, row, column, "has a message that is \(message.text())", "an object")
            }
            throw malformed(
                table,
                row,
                column,
                "has a message with the keys \(listing(object.keys))",
                "\"role\" and \"content\", or \"from\" and \"value\""
            )
        }
    }

    private func variables(_ table: TableView, _ row: Int) throws -> TemplateVariables {
        var variables = TemplateVariables()
        if let column = table.column("tools") {
            let value = try table.json(row: row, columns: [column])[0]
            guard let tools = ChatTemplate.tools(value) else {
                throw malformed(table, row, column, "is not a list", "a list of tools, or the JSON text of one")
            }
            variables.tools = tools
        }
        if let column = table.column("chat_template_kwargs") {
            let value = try table.json(row: row, columns: [column])[0]
            guard value.isNull || value.objectValue != nil else {
                throw malformed(table, row, column, "is not an object", "variables of the chat template")
            }
            variables.others = value.objectValue ?? [:]
        }
        return variables
    }

    private func tokens(
        _ table: TableView,
        _ row: Int,
        _ ids: Int,
        _ labels: Int?,
        _ masks: [Int]
    ) throws -> SFTExample {
        func numbers(_ column: Int, _ isValid: (Int) -> Bool, _ expected: String) throws -> [Int32] {
            guard case .list(let values) = try table.value(row: row, column: column) else {
                throw malformed(table, row, column, "is not a list", "token ids")
            }
            return try values.map { value in
                if case .boolean(let flag) = value, masks.contains(column) { return flag ? 1 : 0 }
                guard case .integer(let number) = value, isValid(number), let id = Int32(exactly: number) else {
                    throw malformed(table, row, column, "has \(value.pythonText)", expected)
                }
                return id
            }
        }
        let bound = vocabularySize
        let read = try numbers(ids, { 0 <= $0 && $0 < bound }, "token ids below \(bound)")
        guard let labels else {
            var example = SFTExample(ids: read)
            for column in masks {
                let flags = try numbers(column, { $0 == 0 || $0 == 1 }, "0 or 1")
                guard flags.count == read.count else {
                    let expected = "\(read.count), one for each token"
                    throw malformed(table, row, column, "has \(flags.count) values", expected)
                }
                example.labels = zip(example.labels ?? read, flags).map { $1 == 0 ? SFTTokens.ignored : $0 }
            }
            return example
        }
        let own = try numbers(
            labels,
            { $0 == Int(SFTTokens.ignored) || (0 <= $0 && $0 < bound) },
            "-100 or token ids below \(bound)"
        )
        guard own.count == read.count else {
            throw malformed(table, row, labels, "has \(own.count) labels", "\(read.count), one for each token")
        }
        return SFTExample(
            ids: read,
            labels: own,
            hasOwnLabels: zip(read, own).contains { $1 != SFTTokens.ignored && $0 != $1 }
        )
    }

    // MARK: Helpers

    /// A text that ends with the end token.
    private func withEnd(_ text: String) -> String {
        guard let end = tokenizer.specialTokens.first(where: { $0.role == "eos_token" })?.token,
            !text.utf8.reversed().starts(with: end.utf8.reversed())
        else { return text }
        return text + end
    }

    private func encoded(_ texts: [String], addSpecialTokens: Bool) -> [[Int32]] {
        tokenizer.encodeIDsBatch(texts, addSpecialTokens: addSpecialTokens, threads: TorchRuntime.threadCount)
    }

    private func translating<Result>(_ table: TableView, _ row: Int, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let error as TemplateError {
            throw TrainingError(.malformed, table.place(ofRow: row), found: "cannot be rendered: \(error)")
        }
    }

    private func malformed(
        _ table: TableView,
        _ row: Int,
        _ column: Int,
        _ found: String,
        _ expected: String
    ) -> TrainingError {
        TrainingError(
            .malformed,
            "\(table.place(ofRow: row)): \(quoted(table.columnNames[column]))",
            found: found,
            expected: expected
        )
    }
}
