public import EttinJSON

/// A chat template: a program in Jinja's language that turns a conversation into the text that a model reads.
///
/// ```swift
/// let template = try ChatTemplate.builtIn("chatml")
/// let text = try template.render([
///     "messages": [["role": "user", "content": "Hello"]], "add_generation_prompt": true,
/// ])
/// ```
///
/// The language is the part of Jinja that templates use, with Python's values, and renders the same bytes as transformers.
/// Templates are other people's programs: nothing that they do reaches beyond their variables, and ``TemplateLimits``
/// bound their work.
public struct ChatTemplate: Sendable {
    /// Whose rules a template follows.
    public enum Environment: Sendable, Hashable {
        /// transformers' chat templates: `trim_blocks`, `lstrip_blocks`, undefined values are empty and false.
        case chat
        /// The evaluation harness's prompts: undefined values are errors, white space stays, `regex_replace` exists.
        ///
        /// For trusted templates alone: limits do not bound the time of a regular expression.
        case evaluationHarness

        var functions: Set<TemplateFunction> {
            self == .chat ? [.range, .dict, .namespace, .raiseException, .strftimeNow] : [.range, .dict, .namespace]
        }
    }

    /// The largest source that is read, in bytes.
    public static let maximumSourceBytes = 1 << 20

    /// The template as it is written.
    public let source: String
    /// What messages call the template, mostly its file.
    public let name: String
    /// Whose rules it follows.
    public let environment: Environment
    private let program: Program

    /// What was read of the source; immutable, and so shared by copies on all threads.
    private final class Program: @unchecked Sendable {
        // Nothing changes behind `init`, neither here nor in the nodes below.
        let statements: [Statement]
        let source: [UInt8]

        init(_ statements: [Statement], _ source: [UInt8]) { (self.statements, self.source) = (statements, source) }
    }

    /// Reads a template.
    ///
    /// - Parameters:
    ///   - source: The template.
    ///   - name: What messages call it, mostly its file.
    ///   - environment: Whose rules it follows.
    /// - Throws: ``TemplateError`` with line and column for what is no template of the supported language.
    public init(
        _ source: String,
        name: String = "chat_template",
        environment: Environment = .chat
    ) throws {
        (self.source, self.name, self.environment) = (source, name, environment)
        guard source.utf8.count <= Self.maximumSourceBytes else {
            let reason = "has \(source.utf8.count) bytes; expected \(Self.maximumSourceBytes) at most"
            throw TemplateError(.limit, template: name, reason: reason)
        }
        let bytes = Self.normalized(Array(source.utf8), keepsLastNewline: environment == .evaluationHarness)
        do {
            let isChat = environment == .chat
            var parser = Parser(try Lexer.tokens(of: bytes, trims: isChat), allowsLoopControls: isChat)
            program = Program(try parser.template(), bytes)
        } catch {
            throw error.error(in: bytes, template: name)
        }
    }

    /// Renders a conversation.
    ///
    /// - Parameters:
    ///   - variables: What the template can read: `messages`, `add_generation_prompt`, special tokens, and others.
    ///   - limits: How much it may do.
    /// - Returns: The text.
    /// - Throws: ``TemplateError`` with line and column: a value that is used and undefined, types that do not fit, the
    ///   message of `raise_exception`, a limit.
    public func render(_ variables: JSONObject, limits: TemplateLimits = .default) throws -> String {
        try rendering(variables, limits: limits).text
    }

    /// Renders a conversation, and tells which parts the template marks as generated.
    ///
    /// - Parameters:
    ///   - variables: What the template can read.
    ///   - limits: How much it may do.
    /// - Returns: The text with the stretches between `{% generation %}` and `{% endgeneration %}`.
    /// - Throws: As ``render(_:limits:)``.
    public func rendering(_ variables: JSONObject, limits: TemplateLimits = .default) throws -> RenderedTemplate {
        let scope = Scope(inside: nil)
        for member in variables.members { scope.set(member.key, Value(member.value)) }
        let budget = Budget(limits, variables: Self.size(of: .object(variables)))
        let interpreter = Interpreter(environment: environment, budget: budget)
        do {
            let (bytes, spans) = try interpreter.render(program.statements, variables: scope)
            return RenderedTemplate(bytes, spans)
        } catch let fault as TemplateFault {
            throw fault.error(in: program.source, template: name)
        }
    }

    /// Whether the template has generation markers, without which there is no mask of assistant tokens.
    public var marksGeneration: Bool {
        var rest = source.utf8[...]
        while let tag = rest.firstRange(of: "{%".utf8) {
            rest = rest[tag.upperBound...]
            let word = rest.drop { [0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: "-"), UInt8(ascii: "+")].contains($0) }
            if word.starts(with: "generation".utf8) { return true }
        }
        return false
    }

    /// The source with line feeds alone, and without the one at its end.
    private static func normalized(_ source: [UInt8], keepsLastNewline: Bool) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(source.count)
        for (index, byte) in source.enumerated() {
            if byte == 0x0D {
                result.append(0x0A)
            } else if byte != 0x0A || index == 0 || source[index - 1] != 0x0D {
                result.append(byte)
            }
        }
        if !keepsLastNewline, result.last == 0x0A { result.removeLast() }
        return result
    }

    /// About how many bytes a value has as JSON, by which the limits grow.
    private static func size(of value: JSONValue) -> Int {
        switch value {
        case .null, .bool: 4
        case .number(let number): number.spelling.utf8.count
        case .string(let text): text.utf8.count + 2
        case .array(let elements): elements.reduce(2) { $0 + size(of: $1) + 1 }
        case .object(let object): object.members.reduce(2) { $0 + $1.key.utf8.count + size(of: $1.value) + 4 }
        }
    }
}

/// A rendered conversation.
public struct RenderedTemplate: Sendable, Hashable {
    /// The text.
    public let text: String
    /// The stretches between generation markers, in characters (Unicode scalars) from the start, in order.
    public let generationSpans: [Range<Int>]
    /// The same stretches in bytes of UTF-8.
    public let generationByteSpans: [Range<Int>]

    init(_ bytes: [UInt8], _ spans: [Range<Int>]) {
        text = String(decoding: bytes, as: UTF8.self)
        // A marker inside of a macro's text counts from where the text before the macro ends, as in transformers.
        generationByteSpans = spans.map { $0.clamped(to: 0..<bytes.count) }
        var characters: [Int: Int] = [:]
        var (position, count) = (0, 0)
        for bound in Set(generationByteSpans.flatMap { [$0.lowerBound, $0.upperBound] }).sorted() {
            count += Text(bytes[position..<bound]).count
            position = bound
            characters[bound] = count
        }
        generationSpans = generationByteSpans.map { span in
            let start = characters[span.lowerBound] ?? 0
            return start..<max(start, characters[span.upperBound] ?? 0)
        }
    }
}
