// The telnet protocol (RFC 854) between bytes of a connection and those of a terminal: no socket, no
// page. Options are agreed on by the rules of RFC 1143: an answer is given to a change only, so no
// two sides can go on agreeing for ever. We ask for nothing by ourselves, so a service that does not
// speak telnet gets what is typed and nothing else.

const IAC = 255, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, SE = 240;
const CR = 13, LF = 10, NUL = 0;
const IS = 0, SEND = 1; // of TERMINAL-TYPE

export const BINARY = 0; // RFC 856
export const ECHO = 1; // RFC 857
export const SUPPRESS_GO_AHEAD = 3; // RFC 858
export const TERMINAL_TYPE = 24; // RFC 1091
export const WINDOW_SIZE = 31; // RFC 1073 (NAWS)

const OURS = [BINARY, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, WINDOW_SIZE];
const THEIRS = [BINARY, ECHO, SUPPRESS_GO_AHEAD];
const LONGEST_PARAMETERS = 512; // bytes: all that we understand are shorter
const LARGEST_WINDOW = 65535; // columns or rows, in two bytes

export default class Telnet {
  #send;
  #show;
  #type;
  #window = [80, 24];
  #ours = new Set();
  #theirs = new Set();
  #state = this.#data;
  #command;
  #parameters;
  #shown = [];

  /** `send` takes bytes for the other side, `show` those for the terminal, of the kind `type`. */
  constructor({ send, show, type = 'xterm-256color' }) {
    this.#send = send;
    this.#show = show;
    this.#type = type;
  }

  /** Whether the other side shows what is typed; if not, the terminal has to. */
  get echoes() {
    return this.#theirs.has(ECHO);
  }

  /** Reads what came; in pieces of any size. */
  receive(bytes) {
    for (const byte of bytes) this.#state(byte);
    if (this.#shown.length > 0) this.#show(Uint8Array.from(this.#shown.splice(0)));
  }

  /** Sends what was typed. */
  type(text) {
    const bytes = [];
    for (const byte of new TextEncoder().encode(text)) {
      bytes.push(byte);
      if (byte === CR && !this.#ours.has(BINARY)) {
        // The key to a shell that sees each key, the end of a line to a service that reads lines.
        bytes.push(this.echoes || this.#theirs.has(SUPPRESS_GO_AHEAD) ? NUL : LF);
      }
    }
    this.#send(Uint8Array.from(escaped(bytes)));
  }

  /** Takes the size of the terminal, and tells the other side if it wants to know. */
  resize(columns, rows) {
    this.#window = [columns, rows].map((cells) => Math.min(cells, LARGEST_WINDOW));
    if (this.#ours.has(WINDOW_SIZE)) this.#tellWindow();
  }

  // States of the reader, each for one byte

  #data(byte) {
    if (byte === IAC) this.#state = this.#afterIac;
    else this.#shown.push(byte);
    if (byte === CR && !this.#theirs.has(BINARY)) this.#state = this.#afterCr;
  }

  #afterCr(byte) {
    this.#state = this.#data;
    // A return to the begin of the line has a NUL behind it, so that it is not half of CR LF.
    if (byte !== NUL) this.#data(byte);
  }

  #afterIac(byte) {
    if ([WILL, WONT, DO, DONT].includes(byte)) {
      this.#command = byte;
      this.#state = this.#option;
    } else if (byte === SB) {
      this.#parameters = [];
      this.#state = this.#subnegotiation;
    } else {
      this.#state = this.#data;
      if (byte === IAC) this.#shown.push(IAC);
      // The others ask a terminal for nothing.
    }
  }

  #option(option) {
    this.#state = this.#data;
    switch (this.#command) {
      case WILL: return this.#agree(this.#theirs, THEIRS, option, DO, DONT);
      case DO: return this.#agree(this.#ours, OURS, option, WILL, WONT);
      case WONT: return this.#end(this.#theirs, option, DONT);
      default: return this.#end(this.#ours, option, WONT);
    }
  }

  #subnegotiation(byte) {
    if (byte === IAC) this.#state = this.#subnegotiationIac;
    else this.#parameter(byte);
  }

  #subnegotiationIac(byte) {
    if (byte === IAC) {
      this.#parameter(IAC);
      this.#state = this.#subnegotiation;
      return;
    }
    this.#state = this.#data;
    const [option, request] = this.#parameters;
    if (byte !== SE) {
      // Its end is missing; this is the next command.
      this.#afterIac(byte);
    } else if (option === TERMINAL_TYPE && request === SEND && this.#ours.has(TERMINAL_TYPE)) {
      this.#tell(TERMINAL_TYPE, [IS, ...new TextEncoder().encode(this.#type)]);
    }
  }

  #parameter(byte) {
    if (this.#parameters.length < LONGEST_PARAMETERS) this.#parameters.push(byte);
  }

  #agree(side, supported, option, yes, no) {
    if (side.has(option)) return;
    if (!supported.includes(option)) {
      this.#send(Uint8Array.of(IAC, no, option));
      return;
    }
    side.add(option);
    this.#send(Uint8Array.of(IAC, yes, option));
    if (side === this.#ours && option === WINDOW_SIZE) this.#tellWindow();
  }

  #end(side, option, answer) {
    if (side.delete(option)) this.#send(Uint8Array.of(IAC, answer, option));
  }

  #tellWindow() {
    this.#tell(WINDOW_SIZE, this.#window.flatMap((cells) => [cells >> 8, cells & 255]));
  }

  #tell(option, parameters) {
    this.#send(Uint8Array.of(IAC, SB, option, ...escaped(parameters), IAC, SE));
  }
}

function escaped(bytes) {
  return bytes.flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte]));
}
