/// How much a template may do before it is refused.
///
/// Templates come with models and are other people's programs. The defaults suit any conversation, as what it holds
/// adds to them, and end a hostile program within about a second.
public struct TemplateLimits: Sendable, Hashable {
    /// Maximum number of nodes that are evaluated, and elements and 64-byte stretches of text that are looked at.
    public var steps = 400_000
    /// Maximum number of bytes of all values that are made, whether or not they are still in use.
    public var memoryBytes = 24 << 20
    /// Maximum size of what is rendered.
    public var outputBytes = 8 << 20
    /// What each byte of the variables adds to the steps.
    public var stepsPerByte = 10
    /// What each byte of the variables adds to both sizes.
    public var bytesPerByte = 40

    /// The limits for templates from anywhere.
    public static let `default` = TemplateLimits()

    /// Creates the default limits.
    public init() {}
}

/// What is left of the limits.
struct Budget {
    private var steps: Int
    private var memory: Int
    private var output: Int

    /// - Parameters:
    ///   - limits: What is allowed.
    ///   - bytes: The size of the variables.
    init(_ limits: TemplateLimits, variables bytes: Int) {
        func sum(_ base: Int, _ factor: Int) -> Int {
            let (more, overflows) = bytes.multipliedReportingOverflow(by: max(0, factor))
            return overflows ? .max : max(0, base).addingReportingOverflow(more).overflow ? .max : max(0, base) + more
        }
        steps = sum(limits.steps, limits.stepsPerByte)
        memory = sum(limits.memoryBytes, limits.bytesPerByte)
        output = sum(limits.outputBytes, limits.bytesPerByte)
    }

    /// Takes steps; false when there are not as many left.
    mutating func takeSteps(_ count: Int) -> Bool {
        guard count <= steps else { return false }
        steps -= count
        return true
    }

    /// Takes bytes for a value, and the steps to make it.
    mutating func takeMemory(_ bytes: Int) -> Bool {
        guard bytes <= memory else { return false }
        memory -= bytes
        return takeSteps(bytes / 64)
    }

    /// Takes bytes of what is rendered.
    mutating func takeOutput(_ bytes: Int) -> Bool {
        guard bytes <= output else { return false }
        output -= bytes
        return takeSteps(bytes / 64)
    }
}
