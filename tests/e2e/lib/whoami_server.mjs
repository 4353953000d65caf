// An MCP server with an HTTP client of its own: asks an OpenID provider who its access token belongs to.
import { createHash } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';

const server = new McpServer({ name: 'whoami', version: '1.0.0' });

// The digest tells tokens apart without showing one.
server.registerTool('whoami', { description: 'Says whose access token this process holds' }, async () => {
  const token = process.env.ACCESS_TOKEN ?? '';
  const answer = await fetch(process.env.USERINFO_URL, { headers: { authorization: `Bearer ${token}` } });
  const text = JSON.stringify({
    status: answer.status,
    sub: answer.ok ? (await answer.json()).sub : null,
    token: createHash('sha256').update(token).digest('hex').slice(0, 16),
    pid: process.pid,
  });
  return { content: [{ type: 'text', text }] };
});

await server.connect(new StdioServerTransport());
